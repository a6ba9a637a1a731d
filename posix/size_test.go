package posix

import (
	"reflect"
	"testing"
)

// A descriptor with its file and one registration is small, and nothing to the collector.
func TestSlabsAreSmallAndHaveNoPointers(t *testing.T) {
	var table Table
	size := 0
	for _, slab := range []any{table.fds, table.files, table.items} {
		elem := reflect.TypeOf(slab).Elem()
		size += int(elem.Size())
		if pointer := pointerIn(elem); pointer != nil {
			t.Errorf("%v has a %v", elem, pointer)
		}
	}
	if size > 72 {
		t.Errorf("a registered descriptor takes %d bytes", size)
	}
}

func pointerIn(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if p := pointerIn(t.Field(i).Type); p != nil {
				return p
			}
		}
		return nil
	case reflect.Array:
		return pointerIn(t.Elem())
	case reflect.Bool, reflect.Int16, reflect.Int32, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	}
	return t
}
