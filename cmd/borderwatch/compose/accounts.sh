#!/bin/sh
# Makes the ClickHouse accounts of docker-compose.yml, each with the role that borderwatch migrate made for it, and sets
# their passwords to those of the secrets: to replace one, change its file and run `docker compose up accounts`.
set -eu

account() { # name, role
	password=$(cat "/run/secrets/clickhouse_$1")
	case $password in
	'' | *[!0-9A-Za-z]*)
		echo "the secret clickhouse_$1 must be letters and digits" >&2
		exit 1
		;;
	esac
	echo "CREATE USER IF NOT EXISTS $1 IDENTIFIED WITH sha256_password BY '$password' DEFAULT ROLE $2;"
	echo "ALTER USER $1 IDENTIFIED WITH sha256_password BY '$password';"
}

accounts() {
	account ingest bw_ingest
	account api bw_api
	account grafana bw_api
	# Grafana asks, and does nothing that the console's account may do beside.
	echo "ALTER USER grafana SETTINGS readonly = 2;"
	account partner bw_partner
	account partner_verify bw_partner_verify
}

statements=$(accounts)
# By standard input, so that no password is in the list of processes.
CLICKHOUSE_PASSWORD=$(cat /run/secrets/clickhouse_admin)
export CLICKHOUSE_PASSWORD
echo "$statements" | clickhouse-client --host clickhouse --user admin --multiquery
echo 'accounts: ingest, api, grafana, partner, partner_verify'
