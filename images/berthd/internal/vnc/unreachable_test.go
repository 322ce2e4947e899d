package vnc

import (
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"berth/berthd/internal/testservice"

	"github.com/coder/websocket"
)

func TestADesktopThatIsNotThereIsSaid(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte(token+": "+free.Addr().String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := &safeBuffer{}
	server := httptest.NewServer(&Proxy{TokensFile: tokens, Log: log.New(said, "", 0)})
	t.Cleanup(server.Close)
	_, response, err := websocket.Dial(testservice.Context(t), server.URL+"/websockify?token="+token, nil)
	if err == nil || response.StatusCode != 502 {
		t.Errorf("got %v; the log says %q", err, said)
	}
}
