// Package e2e tests the two programs as they are installed. It has no code of its own: a test makes a
// bundle whose root file system holds nothing but a probe (package probe, played by the test binary itself),
// has locald-shim run it, and compares what the probe saw from inside, what the shim said, and what is
// there outside, before and after.
//
// The same tests run in four places, named by LOCALD_TEST_PLACE: host-root, host-user, guest-root and
// guest-user. The guest has a full cgroup v2. A user's calls go through the set-user-ID bit of the shim
// that LOCALD_SHIM names; LOCALD_BIN_DIR holds both programs as built. Without these variables the tests
// build the programs and run in the place that the uid says; root may set LOCALD_TEST_PLACE=host-user
// and gets a user and an installed shim in a mount namespace of the tests' own.
package e2e
