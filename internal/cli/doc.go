// Package cli is the command line of locald: one file for each verb. It reads flags and the machine, asks
// the package bundle for a config.json and the package shim to have it executed, and says in plain words
// what went wrong.
package cli
