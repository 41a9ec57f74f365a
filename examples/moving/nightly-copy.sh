#!/bin/sh
# Keeps a copy of all repositories in a folder; what stands there is proven and not copied again.
# usage: nightly-copy.sh <config or storage folder> <folder for the copy>
set -eu
zot export "$1" --all --to "$2/images"
zot check "$2/images"
