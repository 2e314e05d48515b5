#include "common/frame.glsl"
#include "common/math.glsl"
#include "lighting/lamps.glsl"
#include "lighting/shadow.glsl"

uniform sampler2D t_thickness;     // where each light enters, a square of an atlas each: engine/render/passes.py

const vec2 THICKNESS_TILES = vec2(3.0, 2.0);
// Where a surface is thinner than this along its normal, thickness cannot be told from the width of a texel.
const float THICKNESS_LEAST_M = 0.001;

// d'Eon and Luebke 2007, GPU Gems 3 ch. 14: the share of an even light on one side of a slab that leaves it straight
// across on the other. A Gaussian of variance v, integrated over the far side, is exp(-d^2 / 2v).
// The numbers are SKIN_GAUSSIANS of engine/render/tables.py.
vec3 transmittance(float thickness_m) {
    float d2 = -0.5e6 * thickness_m * thickness_m;
    return exp(d2 / 0.0064) * vec3(0.233, 0.455, 0.649) + exp(d2 / 0.0484) * vec3(0.100, 0.336, 0.344) +
           exp(d2 / 0.187) * vec3(0.118, 0.198, 0.0) + exp(d2 / 0.567) * vec3(0.113, 0.007, 0.007) +
           exp(d2 / 1.99) * vec3(0.358, 0.004, 0.0) + exp(d2 / 7.41) * vec3(0.078, 0.0, 0.0);
}

// How far light travels inside before it reaches a point just below the surface, from what the light sees first there
// (Jimenez, Whelan, Sundstedt and Gutierrez 2010, "Real-Time Realistic Skin Translucency"). Four look-ups a texel
// apart, since the share of light is what should be smooth.
vec3 light_through(int light, vec3 position_m, vec3 normal, vec3 towards) {
    vec4 clip = u_shadow_from_world[light] * vec4(position_m - normal * THICKNESS_LEAST_M, 1.0);
    vec3 at = clip.xyz / clip.w;
    float here_m = shadow_distance(light, at.z);
    // Of the ray against the axis of the map: a point of a softbox looks at the head, not where the softbox looks.
    vec3 axis = normalize(transpose(u_shadow_from_world[light])[2].xyz);
    float slant = 1.0 / max(abs(dot(towards, axis)), 0.1);
    vec2 texel = THICKNESS_TILES / vec2(textureSize(t_thickness, 0));
    vec2 tile = vec2(mod(float(light), THICKNESS_TILES.x), floor(float(light) / THICKNESS_TILES.x));
    vec3 sum = vec3(0.0);
    for (int index = 0; index < 4; ++index) {
        vec2 off = vec2(float(index & 1), float(index >> 1)) * 2.0 - 1.0;
        vec2 uv = (clamp(at.xy + off * texel, texel, 1.0 - texel) + tile) / THICKNESS_TILES;
        float inside_m = (here_m - shadow_distance(light, textureLod(t_thickness, uv, 0.0).r)) * slant;
        // Nothing before it: light came in by a hole of the mesh, such as a neck.
        if (inside_m > 0.0) sum += transmittance(inside_m + THICKNESS_LEAST_M);
    }
    return sum * 0.25;
}

// Light that enters where the surface looks away from here. Ears are about as flat on both sides, so the far normal is
// taken as the near one turned around, a little wrapped: Jimenez et al. 2010.
vec3 transmitted(int light, Beam beam, vec3 position_m, vec3 normal) {
    float entering = saturate(0.3 - dot(normal, beam.towards));
    return beam.irradiance * (entering / PI) * light_through(light, position_m, normal, beam.towards);
}

vec3 transmitted_light(vec3 position_m, vec3 normal) {
    vec3 light = vec3(0.0);
    for (int index = 0; index < int(u_lights.x); ++index)
        light += transmitted(index, beam_directional(index), position_m, normal);
    #if defined(POINT_LAMPS)
    for (int index = int(u_lights.x); index < int(u_lights.y); ++index)
        light += transmitted(index, beam_point(index, position_m), position_m, normal);
    #endif
    #if defined(RECTANGLE_LAMPS)
    for (int index = int(u_lights.y); index < int(u_material.y); ++index)
        light += transmitted(index, beam_rectangle(index, position_m), position_m, normal);
    #endif
    return light;
}
