package upload

// Named is for the tests beside the package, which know the table of all types.
var Named = named

// First is the first upload at work, and its sink.
func (u *Set) First() (any, Uploader) {
	first := u.list()[0]
	return first, first.sink
}
