//go:build race

package diff

const workloads = 3 // the race detector makes all of it ten times slower
