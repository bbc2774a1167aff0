"""The API as a whole, on a real server."""


def test_an_image_gets_an_answer_that_can_be_read_again(server, lesion_image):
    done = server.predict(lesion_image(1), name="spot.jpg")
    assert done.status_code == 201
    answer = done.json()
    assert answer["file_name"] == "spot.jpg"
    assert abs(sum(row["probability"] for row in answer["probabilities"]) - 1) < 1e-4
    again = server.client.get(done.headers["location"])
    assert again.json() == answer
