// Package service is what people can do with borderwatch, whatever they do it with: a page, the JSON API, a script. Who may
// do what is decided here, in one table; everything that is done or refused is recorded; and the state of a case is what the
// recorded steps add up to.
package service
