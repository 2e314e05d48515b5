const float PI = 3.14159265358979;

float saturate(float x) { return clamp(x, 0.0, 1.0); }
vec3 saturate(vec3 x) { return clamp(x, vec3(0.0), vec3(1.0)); }
float square(float x) { return x * x; }
float max_component(vec3 v) { return max(v.x, max(v.y, v.z)); }
