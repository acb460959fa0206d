namespace Xfrmd.Linux;

/// <summary><c>enum nft_meta_keys</c>, those in use.</summary>
public enum NetfilterMeta : uint { Mark = 3, InputIndex = 4, OutputIndex = 5, InputName = 6, OutputName = 7, Family = 15, L4Protocol = 16, PacketType = 19 }
