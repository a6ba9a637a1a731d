//go:build !race

package diff

const workloads = 12
