#version 410 core
// The backdrop of a portrait studio: a wall with a pool of light on it, which fades outwards as that of a lamp does.
uniform vec3 u_color;              // display-encoded, in the middle of the picture
uniform vec4 u_part;               // of the picture, what is drawn: corner and size, in heights of it, from its middle
in vec2 v_square;
out vec4 o_color;
void main() {
    vec2 at = u_part.xy + v_square * u_part.zw;
    o_color = vec4(u_color / (1.0 + 2.0 * dot(at, at)), 1.0);
}
