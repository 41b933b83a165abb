#!/bin/sh
# Makes the passwords and tokens of docker-compose.yml in .secrets and the name of the Kafka cluster in .env. What is
# there is left as it is. Run it from the top of the repository: sh cmd/borderwatch/compose/secrets.sh
set -eu
umask 077
mkdir -p .secrets

for name in clickhouse_admin clickhouse_ingest clickhouse_api clickhouse_grafana clickhouse_partner \
	clickhouse_partner_verify ledger_token grafana_admin; do
	file=.secrets/$name
	[ -s "$file" ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$file"
	# Containers read them as users of their own; the folder keeps everybody else out.
	chmod 444 "$file"
done

[ -f .env ] || : >.env
# 22 characters for 16 bytes. Evidence names the cluster, so every installation has its own.
grep -q '^KAFKA_CLUSTER_ID=' .env ||
	echo "KAFKA_CLUSTER_ID=$(head -c 16 /dev/urandom | base64 | tr '+/' 'Aa' | cut -c1-22)" >>.env
