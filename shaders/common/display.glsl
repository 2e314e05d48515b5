#include "common/color.glsl"
#include "common/frame.glsl"

// Scene-referred light to display values, the last step of every picture.
vec3 display_from_light(vec3 light) {
    light = max(light * u_display.x, vec3(0.0));
    #if defined(TONE)
    const int tone = TONE;
    #else
    int tone = int(u_display.y);
    #endif
    if (tone == TONE_NEUTRAL) light = tone_neutral(light);
    else if (tone == TONE_AGX) light = tone_agx(light);
    else if (tone == TONE_ACES) light = tone_aces(light);
    return srgb_from_linear(light);
}
