//go:build race

package steer_test

const raced = true
