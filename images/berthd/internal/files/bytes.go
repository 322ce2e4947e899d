package files

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Bytes serves the bytes of files and archives as bodies of plain HTTP, because the kernel can then send a file without a copy in
// berthd. An upload is complete when its body is complete, so a lost connection leaves no half-written file.
//
//	GET /files?path=P                            sends a regular file; ranges and ETags as in RFC 9110
//	PUT /files?path=P[&mode=0644][&parents=true] writes a file; If-Match, If-None-Match: *; answers with its FileInfo
//	GET /archives?path=P                         sends a folder or file as a tar archive
//	PUT /archives?path=P                         unpacks a tar archive into a folder; answers with Unpacked
//
// An error is answered with the JSON of Connect's errors.
func (s *Service) Bytes() http.Handler {
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request, place) error{
		"GET /files": s.sendFile, "PUT /files": s.takeFile, "GET /archives": s.sendArchive, "PUT /archives": s.takeArchive,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			p, err := s.Roots.at(r.URL.Query().Get("path"))
			if err == nil {
				defer s.Activity.Begin()()
				err = serve(w, r, p)
			}
			if err != nil {
				refuse(w, err)
			}
		})
	}
	return mux
}

func refuse(w http.ResponseWriter, err error) {
	var refusal *connect.Error
	errors.As(problem(err), &refusal)
	maps.Copy(w.Header(), refusal.Meta())
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": refusal.Code().String(), "message": refusal.Message()})
}

func answer(w http.ResponseWriter, message proto.Message) error {
	body, err := protojson.Marshal(message)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
	return nil
}

func (s *Service) sendFile(w http.ResponseWriter, r *http.Request, p place) error {
	file, info, err := p.openFile()
	if err != nil {
		return err
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", etag(info))
	http.ServeContent(w, r, "", info.ModTime(), file)
	return nil
}

func (s *Service) takeFile(w http.ResponseWriter, r *http.Request, p place) error {
	query := r.URL.Query()
	options := writeOptions{
		keepMode: !query.Has("mode"), ifMatch: r.Header.Get("If-Match"), mustNotExist: r.Header.Get("If-None-Match") == "*",
		size: r.ContentLength,
	}
	var bits *uint32
	if query.Has("mode") {
		parsed, err := strconv.ParseUint(query.Get("mode"), 8, 32)
		if err != nil {
			return connect.NewError(connect.CodeInvalidArgument, errors.New("mode must be octal"))
		}
		bits = proto.Uint32(uint32(parsed))
	}
	var err error
	if options.mode, err = fileMode(bits, 0o644); err != nil {
		return err
	}
	if query.Get("parents") == "true" {
		if err := makeFolders(p.parent(), 0o755); err != nil {
			return err
		}
	}
	info, err := writeFile(p, options, r.Body)
	if err != nil {
		return err
	}
	return answer(w, describe(p, info))
}
