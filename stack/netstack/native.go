package netstack

import "encoding/binary"

// native is the byte order of option values.
var native = binary.NativeEndian
