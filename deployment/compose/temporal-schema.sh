# Makes Temporal's two databases and brings their schemas up to the version of this image; may run again at any time.
set -eu

SQL_PASSWORD=$(cat /run/secrets/temporal_database_password)
export SQL_PASSWORD

for schema in temporal visibility; do
  database=temporal
  [ "$schema" = temporal ] || database=temporal_visibility
  tool() { temporal-sql-tool --database "$database" "$@"; }
  # The server makes the first database itself.
  [ "$database" = temporal ] || tool create-database
  tool setup-schema --version 0.0
  tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
