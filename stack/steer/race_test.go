//go:build race

package steer

// Raced is for the tests outside of the package.
const Raced = true
