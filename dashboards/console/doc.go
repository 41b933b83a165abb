// Package console is the web console: pages for people and the JSON API, on a mux. Pages are templates rendered here, with
// embedded assets, no inline script or style and no step to build them. What people may do is asked of package service, who
// they are of package auth.
package console
