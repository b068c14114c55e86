package status

// What commands print with --output=json.
type (
	// Tried is what try prints, once for each time that it has run the scripts.
	Tried struct {
		Guess   *Guess    `json:"guess,omitempty" doc:"of the dialect of a command that is in no configuration"`
		Errors  []Problem `json:"errors,omitempty" doc:"what is wrong with other scripts, which were not run"`
		Scripts []Details `json:"scripts"`
	}
	// Guess is which dialect a command seems to speak.
	Guess struct {
		Dialect string `json:"dialect"`
		Why     string `json:"why"`
	}
	// Checked is what check prints.
	Checked struct {
		OK     bool          `json:"ok" doc:"whether check ends with 0"`
		Errors []Problem     `json:"errors,omitempty" doc:"of what flags name"`
		Files  []CheckedFile `json:"files"`
	}
	// CheckedFile is what is wrong with a configuration, and how much it has.
	CheckedFile struct {
		File      string    `json:"file"`
		OK        bool      `json:"ok" doc:"no error; with --strict no warning either"`
		Scripts   int       `json:"scripts"`
		Receivers int       `json:"receivers"`
		Uploads   int       `json:"uploads"`
		Errors    []Problem `json:"errors,omitempty"`
		Warnings  []Problem `json:"warnings,omitempty"`
	}
	// Problem is an error or a warning.
	Problem struct {
		File    string `json:"file,omitempty"`
		Line    int    `json:"line,omitempty"`
		Thing   string `json:"thing,omitempty" doc:"that it is about, such as a script or a key"`
		Message string `json:"message"`
		Remedy  string `json:"remedy,omitempty" doc:"what to do"`
		Text    string `json:"text" doc:"all of it, as it is printed without --output=json"`
	}
)
