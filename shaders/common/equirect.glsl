#include "common/math.glsl"

// The middle of the picture is what a camera that looks along -Z sees behind the head; row 0 is straight up (+Y).
vec2 equirect_from_direction(vec3 direction) {
    float u = atan(direction.x, -direction.z) / (2.0 * PI) + 0.5;
    float v = acos(clamp(direction.y, -1.0, 1.0)) / PI;
    return vec2(u, v);
}
