#version 410 core
// The head, all parts and all channels. Display values leave here: one target, no pass after it.
#include "common/display.glsl"
#include "lighting/surface.glsl"

const int PART_SKIN = 0;
const int PART_MOUTH = 1;
const int PART_TEETH = 2;
const int PART_EYE = 3;
const int PART_SOCKET = 4;

uniform sampler2D t_diffuse;       // sRGB-encoded
uniform sampler2D t_specular;      // rgb specular, a perceptual roughness
uniform sampler2D t_slope;
uniform sampler2D t_eye;           // sRGB-encoded
uniform int u_part;
in vec3 v_position;
in vec3 v_normal;
in vec2 v_uv;
in vec3 v_data;
in vec4 v_sky;
out vec4 o_color;

// Schueler 2013, "Followup: Normal Mapping without Precomputed Tangents": the directions in which u grows and v
// shrinks, from screen derivatives, so mirrored and seamed layouts need no care. Slope x is along +U, slope y up the image.
vec3 mapped_normal(vec3 n, vec2 slope) {
    vec3 px = dFdx(v_position), py = dFdy(v_position);
    vec2 tx = dFdx(v_uv), ty = dFdy(v_uv);
    vec3 across = cross(py, n), along = cross(n, px);
    vec3 grow_u = across * tx.x + along * ty.x;
    vec3 grow_v = across * tx.y + along * ty.y;
    float sides = gl_FrontFacing ? 1.0 : -1.0;
    float u2 = dot(grow_u, grow_u), v2 = dot(grow_v, grow_v);
    if (min(u2, v2) <= 0.0) return n;
    return normalize(n + sides * (slope.x * grow_u * inversesqrt(u2) - slope.y * grow_v * inversesqrt(v2)));
}

// Constant materials of the parts no map describes: wet tissue (F0 of water-covered mucosa), enamel, socket.
Surface part_surface(vec3 n) {
    Surface s = Surface(vec3(0.42, 0.115, 0.095), vec3(0.028), 0.28, n, n, vec3(0.0), 60.0, v_data.x,
                        open_sky(n));
    if (u_part == PART_TEETH) {
        s.albedo = vec3(0.62, 0.55, 0.44);
        s.f0 = vec3(0.045);        // enamel, n = 1.62, under saliva
        s.roughness = 0.22;
        s.curvature = 120.0;
    } else if (u_part == PART_SOCKET) {
        s.albedo = vec3(0.26, 0.085, 0.07);
        s.roughness = 0.4;
    } else if (u_part == PART_EYE) {
        s.albedo = linear_from_srgb(texture(t_eye, v_uv).rgb);
        s.f0 = vec3(0.025);        // cornea and tears, n = 1.376
        s.roughness = 0.09;
        s.curvature = 40.0;
        // The cornea is a smaller ball (7.8 mm) on the eyeball (12 mm), the iris behind it a shallow bowl: highlights
        // gather over the iris, and the iris is brighter on the side away from the light.
        vec2 off_axis = (v_uv - 0.5) * vec2(1.0, -1.0);
        float cornea = 1.0 - smoothstep(0.16, 0.21, length(off_axis));
        s.normal = mapped_normal(n, off_axis * (0.7 * cornea));
        s.smooth_normal = mapped_normal(n, off_axis * (-1.8 * cornea));
        s.smoothing = vec3(1.0);
    }
    return s;
}

Surface skin_surface(vec3 n) {
    vec4 specular = texture(t_specular, v_uv);
    Surface s;
    s.albedo = linear_from_srgb(texture(t_diffuse, v_uv).rgb);
    s.f0 = min(specular.rgb * u_material.x, vec3(1.0));
    s.roughness = specular.a;
    s.normal = mapped_normal(n, texture(t_slope, v_uv).rg);
    s.smooth_normal = n;
    s.smoothing = SCATTER_SMOOTHING;
    s.curvature = max(v_data.y, 1.0);
    s.occlusion = v_data.x;
    s.sky = v_sky;
    return s;
}

vec3 channel_color(int channel, Surface s) {
    if (channel == CHANNEL_DIFFUSE) return srgb_from_linear(s.albedo);
    if (channel == CHANNEL_SPECULAR) return saturate(s.f0 / u_material.x);
    if (channel == CHANNEL_ROUGHNESS) return vec3(s.roughness);
    if (channel == CHANNEL_NORMAL_MAP) {
        vec2 slope = u_part == PART_SKIN ? texture(t_slope, v_uv).rg : vec2(0.0);
        return normalize(vec3(slope, 1.0)) * 0.5 + 0.5;
    }
    if (channel == CHANNEL_NORMAL) return s.normal * 0.5 + 0.5;
    if (channel == CHANNEL_UV) return vec3(fract(v_uv), 0.0);
    return heat_color(v_data.z / u_display.w);
}

void main() {
    int channel = int(u_display.z);
    vec3 n = normalize(v_normal) * (gl_FrontFacing ? 1.0 : -1.0);
    Surface s;
    if (u_part == PART_SKIN) s = skin_surface(n);
    else s = part_surface(n);
    if (!gl_FrontFacing) s.occlusion *= 0.25;   // the inside of an open neck
    if (channel == CHANNEL_GEOMETRY) s = Surface(vec3(0.42), vec3(0.04), 0.6, n, n, vec3(0.0), 0.0, s.occlusion, s.sky);
    bool plain = channel != CHANNEL_SHADED && channel != CHANNEL_GEOMETRY && channel != CHANNEL_DIFFUSE_LIGHT
        && channel != CHANNEL_SPECULAR_LIGHT;
    if (plain) {
        o_color = vec4(channel_color(channel, s), 1.0);
        return;
    }
    if (channel == CHANNEL_DIFFUSE_LIGHT) s.albedo = vec3(1.0);
    Light light = shade(s, v_position);
    vec3 color = light.diffuse + light.specular;
    if (channel == CHANNEL_DIFFUSE_LIGHT) color = light.diffuse;
    if (channel == CHANNEL_SPECULAR_LIGHT) color = light.specular;
    o_color = vec4(display_from_light(color), 1.0);
}
