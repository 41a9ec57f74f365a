#!/bin/sh
# Takes everything of a docker-registry into a storage folder, and looks whether all of it is sound.
# usage: from-docker-registry.sh <its rootdirectory> <config> <storage folder of that config>
set -eu
zot import docker-registry "$1" "$2"
zot check "$3" --deep
