// Package auth tells who somebody is: local users with passwords, people of an OpenID Connect provider, one-time links, and
// API tokens that expire. What they may do is decided by package service.
package auth
