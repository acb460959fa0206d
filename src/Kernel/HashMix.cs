namespace Xfrmd.Kernel;

/// <summary>Spreads keys over 32 bits, of which a <see cref="HashTable{T, TKey}"/> takes the highest.</summary>
internal static class HashMix
{
    public static uint Of(ulong a, ulong b)
    {
        // Each step carries what is low upwards; the shift brings what is high down again.
        ulong mixed = (a * 0x9E3779B97F4A7C15UL) + (b * 0xC2B2AE3D27D4EB4FUL);
        mixed ^= mixed >> 29;
        return (uint)((mixed * 0xBF58476D1CE4E5B9UL) >> 32);
    }
}
