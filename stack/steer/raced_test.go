package steer_test

import "github.com/fstack-go/fstack/stack/steer"

const raced = steer.Raced
