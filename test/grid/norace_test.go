//go:build !race

package grid

const race = false
