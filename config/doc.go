// Package config reads config.ini: what the file says, checked, in Go's types.
//
//	config.ini ─► viper (INI codec) ─► key tables ─► Config ─► fstack.Run ─► dpdk, stack/netstack
//
// Sections and keys are F-Stack's, so that its config.ini starts here unchanged; own keys stand beside them.
// Each key is defined in one place, with the sentence that docs/configuration.md shows. A key that is unknown,
// or known and without effect here, is a Warning with its name. A wrong value is an Error that names file, line,
// section, key, value and what would be right; all errors of a file are reported together.
//
// A Config is plain data: who has it owns it. Nothing here starts a device, opens a socket or asks the machine
// what it has: whether an lcore, a port or a hugepage exists is found out by those who use them.
package config
