package main

import (
	"encoding/binary"
	"errors"
)

var errShort = errors.New("a batch ends too early")

// reader takes strings out of a batch: each is its length in four bytes, little endian, and its bytes.
type reader struct {
	rest string
	err  error
}

func (r *reader) more() bool {
	return r.err == nil && len(r.rest) > 0
}

func (r *reader) text() string {
	size := r.number()
	if r.err != nil || uint64(size) > uint64(len(r.rest)) {
		r.err = errShort
		return ""
	}
	text := r.rest[:size]
	r.rest = r.rest[size:]
	return text
}

func (r *reader) number() uint32 {
	if r.err != nil || len(r.rest) < 4 {
		r.err = errShort
		return 0
	}
	number := binary.LittleEndian.Uint32([]byte(r.rest[:4]))
	r.rest = r.rest[4:]
	return number
}

// writer makes what a reader takes.
type writer struct {
	bytes []byte
}

func (w *writer) number(number int) {
	w.bytes = binary.LittleEndian.AppendUint32(w.bytes, uint32(number))
}

func (w *writer) text(text string) {
	w.number(len(text))
	w.bytes = append(w.bytes, text...)
}
