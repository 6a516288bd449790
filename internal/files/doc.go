// Package files copies files into containers and out of them, as tar streams, and says what a container has changed.
//
// The side of the container is done by a process in it, or in another one that has its files: Main. There every name
// means what it means to the container, so that no link in it leads to a file of this machine (CVE-2018-15664,
// CVE-2019-14271). What comes from there is written below one directory, which no name and no link in it leaves.
package files

// Verb is the first argument of locald where it is the program in the container.
const Verb = "--files"
