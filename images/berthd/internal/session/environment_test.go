package session

import (
	"slices"
	"testing"
)

func TestProgramsHaveAHomeAndFindBerthProgressInAnyImage(t *testing.T) {
	const system = "/usr/bin:/bin"
	for _, test := range []struct{ name, container, home, path string }{
		{"a home that the user can use", "/home/agent", "/home/agent", system + ":/opt/berth/bin"},
		{"a home that is another user's", "/root", "/work", system + ":/opt/berth/bin"},
		{"the root, which a user has whom the image does not know", "/", "/work", system + ":/opt/berth/bin"},
	} {
		env := programEnvironment([]string{"HOME=" + test.container, "PATH=" + system, "A=b=c"}, "/work", "/opt/berth/bin",
			func(folder string) bool { return folder != "/root" })
		if want := []string{"A=b=c", "HOME=" + test.home, "PATH=" + test.path}; !slices.Equal(env, want) {
			t.Errorf("%s: %q", test.name, env)
		}
	}
	all := func(string) bool { return true }
	if env := programEnvironment(nil, "/work", "/own", all); !slices.Equal(env, []string{"HOME=/work", "PATH=/own"}) {
		t.Errorf("an image that says nothing: %q", env)
	}
	env := programEnvironment([]string{"HOME=/h", "PATH=/own:/bin"}, "/work", "/own", all)
	if !slices.Equal(env, []string{"HOME=/h", "PATH=/own:/bin"}) {
		t.Errorf("berthd's folder is in the PATH already: %q", env)
	}
}
