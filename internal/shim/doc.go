// Package shim is the caller's half of the protocol between locald and locald-shim: it finds the
// set-user-ID helper, looks at how it is installed, hands it a bundle, and reads its answers.
//
// The answers are lines of JSON on a pipe of their own, one for each phase of a run and one for each thing
// that went wrong. Nothing is ever read from the helper's standard error. The pipe works the other way too:
// locald alone holds its read end, so when locald dies, however it dies, the helper sees a pipe without a
// reader and ends the container.
package shim
