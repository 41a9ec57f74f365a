#!/bin/sh
# Keeps a copy of all repositories, and of the records, in a folder; blobs that stand there are proven and not copied
# again.
# usage: nightly-copy.sh <config or storage folder> <folder for the copy>
set -eu
zot export "$1" --all --to "$2/images"
zot check "$2/images"
zot backup "$1" --to "$2/records.db"
