// Command empty does nothing: what the Go runtime alone costs, the measure for
// `locald-shim --version`.
package main

func main() {}
