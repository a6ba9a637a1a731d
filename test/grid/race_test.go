//go:build race

package grid

// race says that the race detector makes everything ten times as slow: less is measured.
const race = true
