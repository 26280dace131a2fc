// Package arch has no code: its test holds the module to its architecture.
package arch
