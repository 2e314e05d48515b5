#include "common/color.glsl"
#include "common/frame.glsl"

// Scene-referred light to display values, the last step of every picture.
vec3 display_from_light(vec3 light) {
    light = max(light * u_display.x, vec3(0.0));
    if (int(u_display.y) == TONE_NEUTRAL) light = tone_neutral(light);
    return srgb_from_linear(light);
}
