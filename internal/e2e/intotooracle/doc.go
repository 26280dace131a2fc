// Package intotooracle holds verify/intoto and sign/intoto against
// in-toto-golang: its test data, its rule engine, its loader.
package intotooracle
