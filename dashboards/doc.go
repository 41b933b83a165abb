// Package dashboards holds what people and Prometheus look at: Grafana dashboards and their provisioning in grafana,
// alert rules with their tests in prometheus, and the web console in console, with what it does in service and who may
// come in in auth. The package itself has tests only: they hold every query against the metrics and tables that exist.
package dashboards
