"""In place of mediapipe, which finds poses in pictures: no task of the test does."""
