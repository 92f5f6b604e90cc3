/* The whole library in one include. A header of its own is enough for most purposes:
 *
 *   pipeline/run/pl_run.h                    the main job as one call
 *   ct_io/dicom_read/ct_index.h              series of folders; ct_io/ct: volumes, cubes, images
 *   ct_io/nodule/ct_nodule_finder.h          marks of a series, from wherever they are kept;
 *                                            ct_nodule.h: the nodules that they mean
 *   pipeline/run/pl_model.h                  a model, and how it wants images made
 *   vit/pass/vit_forward.h                   its logits
 *   cdam/estimators/cdam_estimator.h         maps of what speaks for an output
 *   ct_io/dicom_write/                       DICOM objects
 *
 * Functions that can fail return an lc_status and fill the struct lc_error that comes last
 * (common/lc_status.h). Structs have their fields in sight. What an _init, _read, _scan or _load
 * fills is freed by the _free (or _close) beside it, which takes a zeroed struct too. Research use
 * only. */
#ifndef LUNGCDAM_H
#define LUNGCDAM_H

#include "cdam/draw/cdam_render.h"
#include "cdam/engine/cdam_map.h"
#include "cdam/engine/cdam_prepared.h"
#include "cdam/engine/cdam_target.h"
#include "cdam/engine/cdam_task.h"
#include "cdam/estimators/cdam_estimator.h"
#include "cdam/estimators/cdam_parameter.h"
#include "common/lc_api.h"
#include "common/lc_arena.h"
#include "common/lc_file.h"
#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "common/lc_status.h"
#include "common/lc_text.h"
#include "ct_io/ct/ct_augment.h"
#include "ct_io/ct/ct_cube.h"
#include "ct_io/ct/ct_cutter.h"
#include "ct_io/ct/ct_image.h"
#include "ct_io/ct/ct_plane.h"
#include "ct_io/ct/ct_series.h"
#include "ct_io/ct/ct_uid.h"
#include "ct_io/ct/ct_volume.h"
#include "ct_io/dicom_read/ct_decode.h"
#include "ct_io/dicom_read/ct_files.h"
#include "ct_io/dicom_read/ct_index.h"
#include "ct_io/dicom_write/ct_capture.h"
#include "ct_io/dicom_write/ct_derived.h"
#include "ct_io/dicom_write/ct_frames.h"
#include "ct_io/dicom_write/ct_parametric_map.h"
#include "ct_io/dicom_write/ct_presentation.h"
#include "ct_io/dicom_write/ct_report.h"
#include "ct_io/dicom_write/ct_segmentation.h"
#include "ct_io/nodule/ct_annotation_set.h"
#include "ct_io/nodule/ct_mark.h"
#include "ct_io/nodule/ct_nodule.h"
#include "ct_io/nodule/ct_nodule_finder.h"
#include "ct_io/nodule/ct_nodule_source.h"
#include "ct_io/nodule/ct_region.h"
#include "pipeline/run/pl_model.h"
#include "pipeline/run/pl_run.h"
#include "pipeline/store/pl_existing.h"
#include "vit/kernels/vit_backend.h"
#include "vit/kernels/vit_real.h"
#include "vit/kernels/vit_vectors.h"
#include "vit/pass/vit_forward.h"
#include "vit/weights/vit_arch.h"
#include "vit/weights/vit_model.h"
#include "vit/weights/vit_tensor_file.h"

#endif
