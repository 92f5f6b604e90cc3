#!/usr/bin/env bash
# seeds.sh PROGRAM NAME: runs a harness on its seeds and on changes of them for half a minute at most; the
# sanitizers and the harness itself judge.
set -euo pipefail
program=$1 name=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
cd "$work"
reference=$LUNGCDAM_SOURCE/tests/reference
case $name in
vit_tensor_file) cp "$reference"/torch_small.* "$reference"/position_encoding_dino.safetensors corpus/ ;;
ct_mark)
  cat >corpus/annotation.xml <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage xmlns="http://www.nih.gov"><ResponseHeader><SeriesInstanceUid>1.2.3</SeriesInstanceUid><StudyInstanceUID>1.2</StudyInstanceUID></ResponseHeader>
<readingSession><servicingRadiologistID>anon</servicingRadiologistID><unblindedReadNodule><noduleID>1</noduleID><characteristics><subtlety>5</subtlety><internalStructure>1</internalStructure><calcification>6</calcification><sphericity>3</sphericity><margin>3</margin><lobulation>3</lobulation><spiculation>4</spiculation><texture>5</texture><malignancy>5</malignancy></characteristics>
<roi><imageZposition>-125.0</imageZposition><imageSOP_UID>1.2.3.4</imageSOP_UID><inclusion>TRUE</inclusion><edgeMap><xCoord>312</xCoord><yCoord>355</yCoord></edgeMap><edgeMap><xCoord>311</xCoord><yCoord>356</yCoord></edgeMap><edgeMap><xCoord>312</xCoord><yCoord>357</yCoord></edgeMap></roi></unblindedReadNodule>
<nonNodule><nonNoduleID>2</nonNoduleID><imageZposition>-120.0</imageZposition><imageSOP_UID>1.2.3.5</imageSOP_UID><locus><xCoord>10</xCoord><yCoord>20</yCoord></locus></nonNodule></readingSession></LidcReadMessage>
XML
  ;;
ct_series) # a slice of eight by eight pixels
  cat >slice.dump <<'DUMP'
(0008,0016) UI =CTImageStorage
(0008,0018) UI [1.2.3.4]
(0008,0060) CS [CT]
(0020,000d) UI [1.2]
(0020,000e) UI [1.2.3]
(0020,0013) IS [1]
(0020,0032) DS [0\0\0]
(0020,0037) DS [1\0\0\0\1\0]
(0020,0052) UI [1.2.9]
(0028,0002) US 1
(0028,0004) CS [MONOCHROME2]
(0028,0010) US 8
(0028,0011) US 8
(0028,0030) DS [0.7\0.7]
(0018,0050) DS [1]
(0028,0100) US 16
(0028,0101) US 16
(0028,0102) US 15
(0028,0103) US 1
(0028,1052) DS [-1024]
(0028,1053) DS [1]
(7fe0,0010) OW 0001\0002\0003\0004\0005\0006\0007\0008\0001\0002\0003\0004\0005\0006\0007\0008\0001\0002\0003\0004\0005\0006\0007\0008\0001\0002\0003\0004\0005\0006\0007\0008\0001\0002\0003\0004\0005\0006\0007\0008\0001\0002\0003\0004\0005\0006\0007\0008\0001\0002\0003\0004\0005\0006\0007\0008\0001\0002\0003\0004\0005\0006\0007\0008
DUMP
  dump2dcm slice.dump corpus/plain.dcm >/dev/null
  for syntax in +te +tb +td; do dcmconv "$syntax" corpus/plain.dcm "corpus/$syntax.dcm"; done
  dcmcrle corpus/plain.dcm corpus/rle.dcm
  dcmcjpls corpus/plain.dcm corpus/jpegls.dcm
  ;;
*) echo "no seeds for $name: add them to $0" >&2 && exit 1 ;;
esac
# The same numbers each time; what they find is kept in the log by libFuzzer's base64.
"$program" -seed=1 -runs=4000 -max_total_time=30 -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 corpus
