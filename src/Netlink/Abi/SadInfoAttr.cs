namespace Xfrmd.Netlink.Abi;

/// <summary><c>XFRMA_SAD_*</c>: the attributes of NEWSADINFO.</summary>
public enum SadInfoAttr : ushort { Cnt = 1, HInfo = 2 }
