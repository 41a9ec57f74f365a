#!/bin/sh
# Copies one image, with its signatures, from the registry of one folder into that of another, through a pipe.
# Both registries may go on serving. usage: copy-image.sh <from> <repository>:<tag> <to>
set -eu
from=$1 image=$2 to=$3
zot export "$from" "$image" --to - | zot import "$to" - --repo "${image%:*}"
