# Folders and rooms. A folder is one CMake object library that declares which folders it uses; a room
# is the static library of its folders, which tests and benchmarks link.
#
# Sources include by path from the top. Each folder is compiled with include folders of its own that
# hold links to itself and to what it uses, directly or through others, and to the public headers of
# these below include/lungcdam: an include that the architecture forbids does not compile.
# ${CMAKE_BINARY_DIR}/folders.txt says the same to the linter.
file(WRITE ${CMAKE_BINARY_DIR}/folders.txt "")

# lungcdam_folder(PATH [USES FOLDER...] [LIBRARIES TARGET...] [WITHOUT REGEX...])
#   PATH       from the top; all its sources are compiled but those that a WITHOUT matches
#   USES       folders whose headers its files include; they were declared before, so arrows point one way
#   LIBRARIES  external libraries
# makes the target folder_PATH (slashes become underscores).
function(lungcdam_folder path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "USES;LIBRARIES;WITHOUT")
  string(REPLACE "/" "_" name folder_${path})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${path}/*.c ${CMAKE_SOURCE_DIR}/${path}/*.cpp)
  foreach(regex ${arg_WITHOUT})
    list(FILTER sources EXCLUDE REGEX "/${regex}$")
  endforeach()

  set(seen ${path})
  foreach(used ${arg_USES})
    string(REPLACE "/" "_" target folder_${used})
    if(NOT TARGET ${target})
      message(FATAL_ERROR "${path} uses ${used}, which does not come before it")
    endif()
    get_property(more GLOBAL PROPERTY LUNGCDAM_SEEN_${used})
    list(APPEND seen ${more})
  endforeach()
  list(REMOVE_DUPLICATES seen)
  set_property(GLOBAL PROPERTY LUNGCDAM_SEEN_${path} ${seen})
  string(JOIN " " uses ${arg_USES})
  file(APPEND ${CMAKE_BINARY_DIR}/folders.txt "${path}: ${uses}\n")

  set(view ${CMAKE_BINARY_DIR}/include/${name})
  file(REMOVE_RECURSE ${view})
  foreach(folder ${seen})
    foreach(from . include/lungcdam)
      if(EXISTS ${CMAKE_SOURCE_DIR}/${from}/${folder})
        get_filename_component(above ${view}/${from}/${folder} DIRECTORY)
        file(MAKE_DIRECTORY ${above})
        file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${from}/${folder} ${view}/${from}/${folder} SYMBOLIC)
      endif()
    endforeach()
  endforeach()

  if(NOT sources) # left out, but for its headers
    add_library(${name} INTERFACE)
    return()
  endif()
  add_library(${name} OBJECT ${sources})
  target_include_directories(${name} PRIVATE ${view} ${view}/include/lungcdam)
  target_link_libraries(${name} PRIVATE lungcdam_flags ${arg_LIBRARIES})
endfunction()

# lungcdam_room(NAME FOLDERS FOLDER... [USES ROOM...]) makes the static library lungcdam_NAME.
function(lungcdam_room name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "FOLDERS;USES")
  list(TRANSFORM arg_FOLDERS PREPEND folder_)
  list(TRANSFORM arg_USES PREPEND lungcdam_)
  add_library(lungcdam_${name} STATIC)
  target_include_directories(lungcdam_${name} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include/lungcdam>)
  target_link_libraries(lungcdam_${name} PRIVATE ${arg_FOLDERS} PUBLIC ${arg_USES})
  set_target_properties(lungcdam_${name} PROPERTIES LUNGCDAM_FOLDERS "${arg_FOLDERS}")
endfunction()
