"""From a video to a subject folder: cutting, landmarks, tracking, masks, sound, and a look at the result."""
