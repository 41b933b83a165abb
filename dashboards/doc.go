// Package dashboards holds what people and Prometheus look at: Grafana dashboards and their provisioning in grafana,
// alert rules with their tests in prometheus. There is no code in it but the tests, which hold every query against the
// metrics and the tables that exist.
package dashboards
