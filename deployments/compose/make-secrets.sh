#!/bin/sh
# Makes the secrets of docker-compose.yaml in ./secrets; those that are there stay.
set -eu
cd "$(dirname "$0")"
# The users inside the containers may read the files; other users of this machine cannot enter the folder.
umask 022
mkdir -p secrets
chmod 0700 secrets
for name in db_password redis_password admin_key vllm_key; do
  [ -s "secrets/$name" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name"
done
