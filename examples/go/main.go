// Command demo creates a room, adds participants, lists rooms page by page, and uploads a file, with a generated client.
//
// Usage: ROOMS_URL=http://127.0.0.1:4000 ROOMS_TOKEN=... go run .
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"

	"example.com/rooms-demo/rooms"
)

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../../docs/openapi-3.0.json

// RoomsError is a failure of the service, with its stable code if it has one.
type RoomsError struct {
	Status  int
	Code    string
	Message string
}

func (e *RoomsError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// failure decodes the body of a response that is not a success. All failures have the same schema.
func failure(status int, body []byte) error {
	var parsed rooms.Error
	if err := json.Unmarshal(body, &parsed); err != nil {
		return &RoomsError{Status: status, Message: string(body)}
	}
	result := &RoomsError{Status: status, Message: parsed.Message}
	if parsed.Errors != nil && len(*parsed.Errors) > 0 {
		result.Code = (*parsed.Errors)[0].Code
	}
	return result
}

func createRoom(ctx context.Context, client *rooms.ClientWithResponses, name, key string) (*rooms.Room, error) {
	params := &rooms.CreateRoomParams{IdempotencyKey: &key}
	response, err := client.CreateRoomWithResponse(ctx, params, rooms.CreateRoomBody{Name: name})
	if err != nil {
		return nil, err
	}
	if response.JSON201 == nil {
		return nil, failure(response.StatusCode(), response.Body)
	}
	return &response.JSON201.Data, nil
}

func addParticipants(ctx context.Context, client *rooms.ClientWithResponses, room uuid.UUID, ids ...string) error {
	response, err := client.AddParticipantsWithResponse(ctx, room, rooms.AddParticipantsBody{ParticipantIds: ids})
	if err != nil {
		return err
	}
	if response.JSON200 == nil {
		return failure(response.StatusCode(), response.Body)
	}
	return nil
}

// allRooms reads all pages of the caller's rooms.
func allRooms(ctx context.Context, client *rooms.ClientWithResponses) ([]rooms.MyRoom, error) {
	var all []rooms.MyRoom
	limit := 2
	params := &rooms.ListRoomsParams{Limit: &limit}
	for {
		response, err := client.ListRoomsWithResponse(ctx, params)
		if err != nil {
			return nil, err
		}
		if response.JSON200 == nil {
			return nil, failure(response.StatusCode(), response.Body)
		}
		all = append(all, response.JSON200.Data...)
		params.Cursor = response.JSON200.Page.NextCursor
		if params.Cursor == nil {
			return all, nil
		}
	}
}

func upload(ctx context.Context, client *rooms.ClientWithResponses, room uuid.UUID, name string, content []byte) error {
	params := &rooms.CreateUploadParams{Name: &name, Size: len(content), ContentType: "text/plain"}
	response, err := client.CreateUploadWithResponse(ctx, room, params)
	if err != nil {
		return err
	}
	if response.JSON200 == nil {
		return failure(response.StatusCode(), response.Body)
	}
	target := response.JSON200.Data
	request, err := http.NewRequestWithContext(ctx, string(target.Method), target.UploadUrl, bytes.NewReader(content))
	if err != nil {
		return err
	}
	for header, value := range target.Headers {
		request.Header.Set(header, value)
	}
	stored, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer stored.Body.Close()
	if stored.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(stored.Body)
		return fmt.Errorf("the upload was rejected: %d %s", stored.StatusCode, reason)
	}
	return nil
}

func run(ctx context.Context) error {
	authenticate := func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+os.Getenv("ROOMS_TOKEN"))
		return nil
	}
	client, err := rooms.NewClientWithResponses(os.Getenv("ROOMS_URL"), rooms.WithRequestEditorFn(authenticate))
	if err != nil {
		return err
	}

	// The same key for every retry creates one room.
	key := uuid.NewString()
	room, err := createRoom(ctx, client, "Night shift", key)
	if err != nil {
		return err
	}
	again, err := createRoom(ctx, client, "Night shift", key)
	if err != nil {
		return err
	}
	if again.RoomId != room.RoomId {
		return errors.New("the retry created another room")
	}
	fmt.Printf("created %s: %s\n", room.Name, room.Status)

	if err := addParticipants(ctx, client, room.RoomId, "bob", "carol"); err != nil {
		return err
	}
	fmt.Println("added bob, carol")

	for _, name := range []string{"Day shift", "Late shift"} {
		if _, err := createRoom(ctx, client, name, uuid.NewString()); err != nil {
			return err
		}
	}
	all, err := allRooms(ctx, client)
	if err != nil {
		return err
	}
	var names []string
	for _, each := range all {
		names = append(names, each.Name)
	}
	slices.Sort(names)
	fmt.Println("listed", strings.Join(names, ", "))

	if err := upload(ctx, client, room.RoomId, "gauge.txt", []byte("Pressure: 4.2 bar")); err != nil {
		return err
	}
	fmt.Println("uploaded gauge.txt")

	reason := "Shift is over"
	ended, err := client.EndRoomWithResponse(ctx, room.RoomId, rooms.EndRoomBody{Reason: &reason})
	if err != nil {
		return err
	}
	if ended.JSON200 == nil {
		return failure(ended.StatusCode(), ended.Body)
	}
	var refused *RoomsError
	if err := addParticipants(ctx, client, room.RoomId, "dave"); errors.As(err, &refused) {
		fmt.Println("refused:", refused.Code)
		return nil
	}
	return errors.New("a room that has ended accepted a participant")
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
